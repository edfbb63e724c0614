-- One row per pooled model, which versions of several markets need. It is stored once, as long as a version needs it.
CREATE TABLE signalloop_pools (
  -- SHA-256 of `bytes`, which is its name
  checksum bytea PRIMARY KEY,
  -- The content of its file
  bytes bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
-- They are not compressible.
ALTER TABLE signalloop_pools ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- The pooled model that a version needs, as its file says; null if it needs none.
ALTER TABLE signalloop_models ADD COLUMN pool bytea REFERENCES signalloop_pools;

-- One row a pooled model: what versions of several markets rest on. Kept once, and as long as a version rests on it.
CREATE TABLE signalloop_pools (
  -- SHA-256 of `bytes`, which is its name
  checksum bytea PRIMARY KEY,
  -- As the file of a home
  bytes bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
-- They do not get smaller.
ALTER TABLE signalloop_pools ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- The pooled model that a version rests on, as its file says; null where it rests on none.
ALTER TABLE signalloop_models ADD COLUMN pool bytea REFERENCES signalloop_pools;

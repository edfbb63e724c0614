-- One row per market that was ever trained: which model is in service, and why.
CREATE TABLE signalloop_markets (
  symbol text NOT NULL,
  timeframe text NOT NULL,
  -- The version in service, since when, and why
  champion bigint,
  since timestamptz NOT NULL,
  reason text NOT NULL,
  -- Versions that it can be rolled back to, oldest first
  predecessors bigint[] NOT NULL,
  -- Number of trainings
  trials bigint NOT NULL,
  -- The content of `champion.json`, which signalloop uses; the other columns are for people
  state json NOT NULL,
  -- Identifies the last change: that of its line in the ledger
  batch bigint NOT NULL,
  PRIMARY KEY (symbol, timeframe)
);

-- One row per version: the model in service, those it can be rolled back to, and the newest three.
CREATE TABLE signalloop_models (
  symbol text NOT NULL,
  timeframe text NOT NULL,
  version bigint NOT NULL,
  -- SHA-256 of `bytes`
  checksum bytea NOT NULL,
  -- The content of the model's file
  bytes bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (symbol, timeframe, version)
);

-- Every training and rollback, in order; rows are only appended.
CREATE TABLE signalloop_ledger (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  symbol text NOT NULL,
  timeframe text NOT NULL,
  at timestamptz NOT NULL,
  -- training or rollback
  kind text NOT NULL,
  -- The version that was trained, or that went back into service
  version bigint NOT NULL,
  -- Whether it went into service
  promoted boolean NOT NULL,
  reason text NOT NULL,
  -- The line of `ledger.jsonl`, which signalloop uses
  entry json NOT NULL,
  -- Identifies the change, by which its writer finds out whether it was written
  batch bigint NOT NULL
);
CREATE INDEX signalloop_ledger_by_market ON signalloop_ledger (symbol, timeframe, number);
CREATE INDEX signalloop_ledger_by_batch ON signalloop_ledger (batch);

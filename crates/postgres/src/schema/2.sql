-- One row a market that was ever trained: which model is in service, and why.
CREATE TABLE signalloop_markets (
  symbol text NOT NULL,
  timeframe text NOT NULL,
  -- The version in service, since when, and why
  champion bigint,
  since timestamptz NOT NULL,
  reason text NOT NULL,
  -- Versions that it can be rolled back to, oldest first
  predecessors bigint[] NOT NULL,
  -- Trainings so far
  trials bigint NOT NULL,
  -- All of it as `champion.json` of a home has it, which is what signalloop goes by; the other columns say it to people
  state json NOT NULL,
  -- Tells the last change from all others: that of its line in the ledger
  batch bigint NOT NULL,
  PRIMARY KEY (symbol, timeframe)
);

-- One row a version: the model in service, those it can be rolled back to, the newest three.
CREATE TABLE signalloop_models (
  symbol text NOT NULL,
  timeframe text NOT NULL,
  version bigint NOT NULL,
  -- SHA-256 of `bytes`
  checksum bytea NOT NULL,
  -- As the file of a home
  bytes bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (symbol, timeframe, version)
);

-- Every training and every rollback, in order; only ever appended to.
CREATE TABLE signalloop_ledger (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  symbol text NOT NULL,
  timeframe text NOT NULL,
  at timestamptz NOT NULL,
  -- training or rollback
  kind text NOT NULL,
  -- That was trained, or came back into service
  version bigint NOT NULL,
  -- It went into service
  promoted boolean NOT NULL,
  reason text NOT NULL,
  -- The line as `ledger.jsonl` of a home has it, which is what signalloop goes by
  entry json NOT NULL,
  -- The change that it was written in, which tells the writer whether it was
  batch bigint NOT NULL
);
CREATE INDEX signalloop_ledger_by_market ON signalloop_ledger (symbol, timeframe, number);
CREATE INDEX signalloop_ledger_by_batch ON signalloop_ledger (batch);

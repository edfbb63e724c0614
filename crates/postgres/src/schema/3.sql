-- Who holds what, until when: `leader`, `task/<task>`, `job/<task>/<run>/<market>`. A row is held while `until` lies ahead of the
-- database's own clock, the only one that counts. Whoever takes it raises `token` by one; what its former holder writes with the
-- old one is refused.
CREATE TABLE signalloop_leases (
  name text PRIMARY KEY,
  -- Machine, process and loop
  holder text NOT NULL,
  token bigint NOT NULL,
  until timestamptz NOT NULL
);

-- One row a task of the scheduler. `record` is what signalloop goes by; the other columns say it to people.
CREATE TABLE signalloop_tasks (
  task text PRIMARY KEY,
  record text NOT NULL,
  -- Attempts begun of a run that has not succeeded and is not given up
  attempt integer NOT NULL,
  next_due timestamptz,
  last_run_at timestamptz,
  last_ended_at timestamptz,
  -- finished, failed or cancelled
  outcome text,
  message text,
  written_by text NOT NULL
);

-- What the tasks came to, attempt by attempt; only the newest are kept.
CREATE TABLE signalloop_history (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task text NOT NULL,
  -- That of the task's lease during the attempt
  token bigint NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  outcome text NOT NULL,
  message text NOT NULL,
  run text NOT NULL,
  written_by text NOT NULL,
  UNIQUE (task, token)
);

-- The markets of a training that instances share; those of the newest run of each task.
CREATE TABLE signalloop_jobs (
  -- retrain or update
  task text NOT NULL,
  -- The token of the task's lease when the run began
  run bigint NOT NULL,
  symbol text NOT NULL,
  timeframe text NOT NULL,
  -- waiting, claimed, done or failed
  status text NOT NULL,
  -- The attempt of the run that asked for it last
  attempt integer NOT NULL,
  -- How many had it in this attempt; more than one: who had it before died
  claims integer NOT NULL DEFAULT 0,
  -- Of the lease of whoever has it, or had it
  holder text,
  token bigint,
  -- Not begun any more after this
  deadline timestamptz NOT NULL,
  claimed_at timestamptz,
  ended_at timestamptz,
  -- The market's entry in training_results.json
  result text,
  PRIMARY KEY (task, run, symbol, timeframe)
);

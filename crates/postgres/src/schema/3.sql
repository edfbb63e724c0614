-- Leases: `leader`, `task/<task>`, `job/<task>/<run>/<market>`. A lease is held while `until` lies in the future, by the
-- database's own clock. Each new holder increases `token` by one; writes with an older token
-- are rejected.
CREATE TABLE signalloop_leases (
  name text PRIMARY KEY,
  -- Machine, process and loop
  holder text NOT NULL,
  token bigint NOT NULL,
  until timestamptz NOT NULL
);

-- One row per task of the scheduler. signalloop uses `record`; the other columns are for people.
CREATE TABLE signalloop_tasks (
  task text PRIMARY KEY,
  record text NOT NULL,
  -- Attempts so far of a run that has neither succeeded nor been given up
  attempt integer NOT NULL,
  next_due timestamptz,
  last_run_at timestamptz,
  last_ended_at timestamptz,
  -- finished, failed or cancelled
  outcome text,
  message text,
  written_by text NOT NULL
);

-- The history of task attempts; only the newest are kept.
CREATE TABLE signalloop_history (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task text NOT NULL,
  -- The token of the task's lease during the attempt
  token bigint NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  outcome text NOT NULL,
  message text NOT NULL,
  run text NOT NULL,
  written_by text NOT NULL,
  UNIQUE (task, token)
);

-- The markets of a shared training; only those of the newest run of each task are kept.
CREATE TABLE signalloop_jobs (
  -- retrain or update
  task text NOT NULL,
  -- The token of the task's lease when the run began
  run bigint NOT NULL,
  symbol text NOT NULL,
  timeframe text NOT NULL,
  -- waiting, claimed, done or failed
  status text NOT NULL,
  -- The latest attempt of the run that requested it
  attempt integer NOT NULL,
  -- How many instances took it in this attempt; with more than one, the earlier ones died
  claims integer NOT NULL DEFAULT 0,
  -- The token of the job's lease, current or last
  holder text,
  token bigint,
  -- It is not started after this time
  deadline timestamptz NOT NULL,
  claimed_at timestamptz,
  ended_at timestamptz,
  -- The market's entry in training_results.json
  result text,
  PRIMARY KEY (task, run, symbol, timeframe)
);

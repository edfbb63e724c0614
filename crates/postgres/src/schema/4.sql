-- The shared state of live results: conservative mode, emergency trainings started, drift reported. One row.
CREATE TABLE signalloop_performance (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  -- Increased by every change; a change based on another version is rejected
  version bigint NOT NULL,
  -- The content of performance.json; null at first
  state text,
  written_by text
);
INSERT INTO signalloop_performance (version) VALUES (0);

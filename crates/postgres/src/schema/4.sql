-- What instances know together of their live results: conservative mode, emergency trainings begun, drift told of. One row.
CREATE TABLE signalloop_performance (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  -- Raised by whoever changes it; a change of another version than was read is refused.
  version bigint NOT NULL,
  -- performance.json; missing before anything is known
  state text,
  written_by text
);
INSERT INTO signalloop_performance (version) VALUES (0);

-- One row per signal.
CREATE TABLE signals (
  -- Order of recording, from 1
  number bigint PRIMARY KEY,
  -- Order of changes: that of this row's last change
  change bigint NOT NULL UNIQUE,
  -- The batch of the last change, by which its writer finds out whether it was written
  batch bigint NOT NULL,
  id text NOT NULL UNIQUE,
  symbol text NOT NULL,
  timeframe text NOT NULL,
  -- BUY, SELL or HOLD
  direction text NOT NULL,
  -- Percent, 0 to 100
  confidence double precision,
  entry_price double precision,
  stop_loss double precision,
  take_profit double precision,
  given_at timestamptz NOT NULL,
  expires_at timestamptz,
  -- ACTIVE, TOOK_PROFIT, STOPPED_OUT, SUCCESS or FAILURE; a HOLD stays ACTIVE
  outcome text NOT NULL,
  exit_price double precision,
  -- Percent of the entry price, before costs
  profit_percent double precision,
  closed_at timestamptz,
  -- Indicators, features at entry, and the caller's other fields
  rest jsonb NOT NULL,
  -- The whole record as JSON text, if the columns would not return it exactly: JSONB has neither \u0000 nor -0, and turns
  -- large numbers into integers
  exact text
);
CREATE INDEX signals_by_market ON signals (symbol, timeframe, closed_at);

-- One row: the number of the last change. Writers lock it first, so that changes become visible in order.
CREATE TABLE signals_position (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  position bigint NOT NULL
);
INSERT INTO signals_position (position) VALUES (0);

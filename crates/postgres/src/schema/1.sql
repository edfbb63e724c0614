-- One row a signal.
CREATE TABLE signals (
  -- The order of recording, from 1 on.
  number bigint PRIMARY KEY,
  -- The order of all changes: that of the last change of this row.
  change bigint NOT NULL UNIQUE,
  -- The batch that the last change was written in, which tells the writer whether it was.
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
  -- Of the entry price, before costs
  profit_percent double precision,
  closed_at timestamptz,
  -- Indicators, features at entry, and everything else that the caller sent
  rest jsonb NOT NULL,
  -- The whole record as JSON text, where the columns would not give it back just so: JSONB knows neither \u0000 nor -0, and
  -- makes integers of large numbers
  exact text
);
CREATE INDEX signals_by_market ON signals (symbol, timeframe, closed_at);

-- One row: the number of the last change. Whoever writes takes its lock first, so that changes become visible in their order.
CREATE TABLE signals_position (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  position bigint NOT NULL
);
INSERT INTO signals_position (position) VALUES (0);

-- Managed signals: their terms and their history are in `rest`, and an open row changes with each event. Earlier versions would read
-- such a row as a plain signal and close it at the wrong levels; the number of this step keeps them out.
COMMENT ON COLUMN signals.change IS 'Order of changes: that of this row''s last change, which is the recording, an event of a managed signal, or the closing';
COMMENT ON COLUMN signals.entry_price IS 'As it was recorded; of a zone, the edge where it costs most. What was paid is in rest->''managed_history''';
COMMENT ON COLUMN signals.stop_loss IS 'As it was recorded. Where a managed signal''s stop moved is in rest->''managed_history''';
COMMENT ON COLUMN signals.take_profit IS 'As it was recorded; null if there are several, which are in rest->''managed_terms''';
COMMENT ON COLUMN signals.outcome IS 'ACTIVE, TOOK_PROFIT, STOPPED_OUT, SUCCESS, FAILURE, UNKNOWN, or CANCELLED for a signal that ended before it was entered; a HOLD stays ACTIVE';
COMMENT ON COLUMN signals.exit_price IS 'Of a signal closed in parts, the mean by their shares';
COMMENT ON COLUMN signals.profit_percent IS 'Percent of the entry''s fill, before costs; of a signal closed in parts, weighted by their shares';
COMMENT ON COLUMN signals.rest IS 'The other fields of a signal: strategy, taken, indicators, features at entry, said, source, tags, leverage, fee_bps, funding_bps_per_day, quantity, managed_terms, managed_history, mfe_percent, mae_percent, and the caller''s own';

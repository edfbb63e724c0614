-- Since when its holder has had it, for people.
ALTER TABLE signalloop_leases ADD COLUMN since timestamptz;

-- Since when the lease has had its holder; for people.
ALTER TABLE signalloop_leases ADD COLUMN since timestamptz;

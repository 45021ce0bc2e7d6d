-- Of the program of tomorrow, which tests of an upgrade build with the feature 'next-schema'. No other program has it.
ALTER TABLE record ADD COLUMN writer INTEGER;
ALTER TABLE version ADD COLUMN writer INTEGER;
UPDATE meta SET value = CAST(value + 1 AS TEXT) WHERE key = 'schema_level';

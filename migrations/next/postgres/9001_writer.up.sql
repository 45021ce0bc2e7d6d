-- Of the program of tomorrow, which tests of an upgrade build with the feature 'next-schema'. No other program has it.
ALTER TABLE strongroom.record ADD COLUMN writer bigint;
ALTER TABLE strongroom.version ADD COLUMN writer bigint;
UPDATE strongroom.meta SET value = (value::bigint + 1)::text WHERE key = 'schema_level';

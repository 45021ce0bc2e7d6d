ALTER TABLE record DROP COLUMN writer;
ALTER TABLE version DROP COLUMN writer;
UPDATE meta SET value = CAST(value - 1 AS TEXT) WHERE key = 'schema_level';
UPDATE meta SET value = (SELECT value FROM meta WHERE key = 'schema_level')
    WHERE key = 'oldest_program' AND CAST(value AS INTEGER) > (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'schema_level');

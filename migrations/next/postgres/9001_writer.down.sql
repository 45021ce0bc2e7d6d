ALTER TABLE strongroom.record DROP COLUMN writer;
ALTER TABLE strongroom.version DROP COLUMN writer;
UPDATE strongroom.meta SET value = (value::bigint - 1)::text WHERE key = 'schema_level';
UPDATE strongroom.meta SET value = (SELECT value FROM strongroom.meta WHERE key = 'schema_level')
    WHERE key = 'oldest_program' AND value::bigint > (SELECT value::bigint FROM strongroom.meta WHERE key = 'schema_level');

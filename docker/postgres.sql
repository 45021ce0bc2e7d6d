-- Runs once, as the superuser, when the database's volume is new: a role that owns one database and is nothing else.
\set ON_ERROR_STOP on
-- psql reads the file, so the password is in no argument and in no variable of a process.
\set password `cat /run/secrets/database-password`
-- A statement that fails is logged, and this one holds the password.
SET log_min_error_statement = panic;
CREATE ROLE strongroom LOGIN PASSWORD :'password';
CREATE DATABASE strongroom OWNER strongroom;
REVOKE CONNECT ON DATABASE strongroom FROM PUBLIC;

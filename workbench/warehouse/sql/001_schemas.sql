-- The six schemas and the stage that loads go through.
-- All files here are Snowflake SQL, run in the order of their numbers, and may run again at any time.
CREATE SCHEMA IF NOT EXISTS finops_staging;
CREATE SCHEMA IF NOT EXISTS finops_curated;
CREATE SCHEMA IF NOT EXISTS finops_aggregated;
CREATE SCHEMA IF NOT EXISTS finops_reporting;
CREATE SCHEMA IF NOT EXISTS finops_analysis;
CREATE SCHEMA IF NOT EXISTS finops_tasks;

CREATE STAGE IF NOT EXISTS finops_staging.loads;

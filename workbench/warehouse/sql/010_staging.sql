-- What arrives, before it is believed, and the book of what arrived.
-- The loader's own staging tables are temporary, one set a session: a crashed load leaves nothing behind.

-- Where Snowflake's Kafka connector writes.
CREATE TABLE IF NOT EXISTS finops_staging.cost_events_raw (
    record_content VARIANT,
    record_metadata VARIANT,
    loaded_at TIMESTAMP_NTZ DEFAULT CURRENT_TIMESTAMP()
);

CREATE TABLE IF NOT EXISTS finops_staging.business_events_raw (
    record_content VARIANT,
    record_metadata VARIANT,
    loaded_at TIMESTAMP_NTZ DEFAULT CURRENT_TIMESTAMP()
);

-- One row for each file of each run: read = filtered + accepted + rejected,
-- accepted = repeated + inserted + restated + unchanged + older + conflicting.
CREATE TABLE IF NOT EXISTS finops_staging.ingest_runs (
    run_id VARCHAR,
    source_name VARCHAR,
    source_file VARCHAR,
    file_bytes NUMBER(38,0),
    observed_at TIMESTAMP_NTZ,
    started_at TIMESTAMP_NTZ,
    loaded_at TIMESTAMP_NTZ,
    rows_read NUMBER(38,0),
    rows_filtered NUMBER(38,0),
    rows_accepted NUMBER(38,0),
    rows_rejected NUMBER(38,0),
    rows_repeated NUMBER(38,0),
    rows_inserted NUMBER(38,0),
    rows_restated NUMBER(38,0),
    rows_unchanged NUMBER(38,0),
    rows_older NUMBER(38,0),
    rows_conflicting NUMBER(38,0),
    rows_equal NUMBER(38,0),
    reading VARCHAR,
    error VARCHAR
);

-- The money of the same, one row for each currency and measure ('BilledCost', 'ListCost').
CREATE TABLE IF NOT EXISTS finops_staging.ingest_totals (
    run_id VARCHAR,
    source_file VARCHAR,
    currency VARCHAR,
    measure VARCHAR,
    read_total NUMBER(38,12),
    accepted_total NUMBER(38,12),
    rejected_total NUMBER(38,12),
    repeated_total NUMBER(38,12),
    inserted_total NUMBER(38,12),
    restated_delta NUMBER(38,12),
    unchanged_total NUMBER(38,12),
    older_total NUMBER(38,12),
    conflicting_total NUMBER(38,12)
);

CREATE TABLE IF NOT EXISTS finops_staging.rejected_rows (
    run_id VARCHAR,
    source_file VARCHAR,
    row_number NUMBER(38,0),
    reason VARCHAR,
    value VARCHAR,
    record VARCHAR,
    loaded_at TIMESTAMP_NTZ
);

-- One row for each run of the road through the broker: sent = delivered, read = delivered + others = valid + dead,
-- valid = inserted + restated + unchanged + older + repeated + conflicting. Others are what somebody else had sent.
CREATE TABLE IF NOT EXISTS finops_staging.stream_runs (
    run_id VARCHAR,
    topic VARCHAR,
    started_at TIMESTAMP_NTZ,
    loaded_at TIMESTAMP_NTZ,
    rows_sent NUMBER(38,0),
    rows_refused NUMBER(38,0),
    rows_delivered NUMBER(38,0),
    rows_read NUMBER(38,0),
    rows_others NUMBER(38,0),
    rows_valid NUMBER(38,0),
    rows_dead NUMBER(38,0),
    rows_inserted NUMBER(38,0),
    rows_restated NUMBER(38,0),
    rows_unchanged NUMBER(38,0),
    rows_older NUMBER(38,0),
    rows_repeated NUMBER(38,0),
    rows_conflicting NUMBER(38,0),
    seconds FLOAT,
    events_per_s FLOAT,
    lag_at_end NUMBER(38,0)
);

-- What came by the broker and could not be read. value is the start of it as text, value_base64 the original bytes
-- (the first 6 MB; the topic finops.deadletter has them whole). No partition and no offset: it was too long to be sent.
CREATE TABLE IF NOT EXISTS finops_staging.dead_letters (
    run_id VARCHAR,
    topic VARCHAR,
    partition_number NUMBER(38,0),
    message_offset NUMBER(38,0),
    reason VARCHAR,
    value VARCHAR,
    value_base64 VARCHAR,
    value_bytes NUMBER(38,0),
    loaded_at TIMESTAMP_NTZ
);

-- On Snowflake a merge first updates its table's row here, so that two merges into one table wait for each other.
CREATE TABLE IF NOT EXISTS finops_staging.merge_locks (
    table_name VARCHAR,
    taken_at TIMESTAMP_NTZ
);

-- How far each producer has read its source, so that a restart goes on where it stopped.
CREATE TABLE IF NOT EXISTS finops_staging.cursors (
    source VARCHAR,
    key VARCHAR,
    value VARCHAR,
    updated_at TIMESTAMP_NTZ
);

-- Spikes of cost, one row each: what finops.cost.anomalies tells, its latest revision.
-- excess_amount is cost_amount - expected_amount, deviation_percent the same in percent of what was expected, deviation
-- the same in spreads of the baseline. status is raised, revised or withdrawn (then resolved is true).
CREATE TABLE IF NOT EXISTS finops_aggregated.cost_anomalies (
    record_id VARCHAR,
    origin VARCHAR,
    anomaly_id VARCHAR,
    detected_at TIMESTAMP_NTZ,
    anomaly_type VARCHAR,
    business_unit VARCHAR,
    service VARCHAR,
    currency VARCHAR,
    window_start TIMESTAMP_NTZ,
    window_end TIMESTAMP_NTZ,
    cost_amount NUMBER(38,12),
    expected_amount NUMBER(38,12),
    excess_amount NUMBER(38,12),
    ratio FLOAT,
    deviation FLOAT,
    deviation_percent FLOAT,
    business_impact VARCHAR,
    history NUMBER(38,0),
    streak NUMBER(38,0),
    status VARCHAR,
    revision NUMBER(38,0),
    resolved BOOLEAN DEFAULT FALSE,
    observed_at TIMESTAMP_NTZ,
    loaded_at TIMESTAMP_NTZ
);

-- For warehouses that were made when the table had fewer columns.
ALTER TABLE finops_aggregated.cost_anomalies ADD COLUMN IF NOT EXISTS record_id VARCHAR;
ALTER TABLE finops_aggregated.cost_anomalies ADD COLUMN IF NOT EXISTS origin VARCHAR;
ALTER TABLE finops_aggregated.cost_anomalies ADD COLUMN IF NOT EXISTS window_start TIMESTAMP_NTZ;
ALTER TABLE finops_aggregated.cost_anomalies ADD COLUMN IF NOT EXISTS window_end TIMESTAMP_NTZ;
ALTER TABLE finops_aggregated.cost_anomalies ADD COLUMN IF NOT EXISTS excess_amount NUMBER(38,12);
ALTER TABLE finops_aggregated.cost_anomalies ADD COLUMN IF NOT EXISTS ratio FLOAT;
ALTER TABLE finops_aggregated.cost_anomalies ADD COLUMN IF NOT EXISTS deviation FLOAT;
ALTER TABLE finops_aggregated.cost_anomalies ADD COLUMN IF NOT EXISTS history NUMBER(38,0);
ALTER TABLE finops_aggregated.cost_anomalies ADD COLUMN IF NOT EXISTS streak NUMBER(38,0);
ALTER TABLE finops_aggregated.cost_anomalies ADD COLUMN IF NOT EXISTS status VARCHAR;
ALTER TABLE finops_aggregated.cost_anomalies ADD COLUMN IF NOT EXISTS revision NUMBER(38,0);
ALTER TABLE finops_aggregated.cost_anomalies ADD COLUMN IF NOT EXISTS observed_at TIMESTAMP_NTZ;
ALTER TABLE finops_aggregated.cost_anomalies ADD COLUMN IF NOT EXISTS loaded_at TIMESTAMP_NTZ;

CREATE TABLE IF NOT EXISTS finops_aggregated.cost_anomalies_history (
    record_id VARCHAR,
    origin VARCHAR,
    anomaly_id VARCHAR,
    detected_at TIMESTAMP_NTZ,
    anomaly_type VARCHAR,
    business_unit VARCHAR,
    service VARCHAR,
    currency VARCHAR,
    window_start TIMESTAMP_NTZ,
    window_end TIMESTAMP_NTZ,
    cost_amount NUMBER(38,12),
    expected_amount NUMBER(38,12),
    excess_amount NUMBER(38,12),
    ratio FLOAT,
    deviation FLOAT,
    deviation_percent FLOAT,
    business_impact VARCHAR,
    history NUMBER(38,0),
    streak NUMBER(38,0),
    status VARCHAR,
    revision NUMBER(38,0),
    resolved BOOLEAN,
    observed_at TIMESTAMP_NTZ,
    loaded_at TIMESTAMP_NTZ,
    superseded_at TIMESTAMP_NTZ
);

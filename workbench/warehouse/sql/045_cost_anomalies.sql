-- What was out of the ordinary. deviation_percent is (cost_amount - expected_amount) / expected_amount * 100.
CREATE TABLE IF NOT EXISTS finops_aggregated.cost_anomalies (
    anomaly_id VARCHAR,
    detected_at TIMESTAMP_NTZ,
    anomaly_type VARCHAR,
    business_unit VARCHAR,
    service VARCHAR,
    currency VARCHAR,
    cost_amount NUMBER(38,12),
    expected_amount NUMBER(38,12),
    deviation_percent FLOAT,
    business_impact VARCHAR,
    resolved BOOLEAN DEFAULT FALSE
);

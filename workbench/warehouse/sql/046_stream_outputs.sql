-- What the stream processors tell, record by record. origin says who told it: 'stream' (the live processors, by their
-- topic) or 'replay' (the same functions over what the warehouse holds). The two are never added up, and neither are
-- windows of another length: origin, window_start and window_end are part of what a window is.
-- observed_at is when it was known in event time (for a replay: what it knew of), loaded_at when it came in here.

-- Cost of a unit in a window, one row a record: the delta_cost of all records of a window add up to its cost. One
-- that came beyond the horizon has no total_cost and no revision.
CREATE TABLE IF NOT EXISTS finops_aggregated.cost_windows (
    record_id VARCHAR,
    origin VARCHAR,
    business_unit VARCHAR,
    service VARCHAR,
    currency VARCHAR,
    window_start TIMESTAMP_NTZ,
    window_end TIMESTAMP_NTZ,
    total_cost NUMBER(38,12),
    delta_cost NUMBER(38,12),
    events NUMBER(38,0),
    late_events NUMBER(38,0),
    revision NUMBER(38,0),
    beyond_horizon BOOLEAN,
    closed_at TIMESTAMP_NTZ,
    observed_at TIMESTAMP_NTZ,
    loaded_at TIMESTAMP_NTZ
);

CREATE TABLE IF NOT EXISTS finops_aggregated.cost_windows_history (
    record_id VARCHAR,
    origin VARCHAR,
    business_unit VARCHAR,
    service VARCHAR,
    currency VARCHAR,
    window_start TIMESTAMP_NTZ,
    window_end TIMESTAMP_NTZ,
    total_cost NUMBER(38,12),
    delta_cost NUMBER(38,12),
    events NUMBER(38,0),
    late_events NUMBER(38,0),
    revision NUMBER(38,0),
    beyond_horizon BOOLEAN,
    closed_at TIMESTAMP_NTZ,
    observed_at TIMESTAMP_NTZ,
    loaded_at TIMESTAMP_NTZ,
    superseded_at TIMESTAMP_NTZ
);

-- Cost and revenue of a unit around a moment, one row a record. The windows overlap: delta_cost and delta_revenue are
-- what belongs to the moment's own bucket, and add up to all cost and revenue; cost and revenue do not.
CREATE TABLE IF NOT EXISTS finops_aggregated.roi_calculations (
    record_id VARCHAR,
    origin VARCHAR,
    business_unit VARCHAR,
    currency VARCHAR,
    timestamp TIMESTAMP_NTZ,
    window_start TIMESTAMP_NTZ,
    window_end TIMESTAMP_NTZ,
    cost NUMBER(38,12),
    revenue NUMBER(38,12),
    gain NUMBER(38,12),
    roi FLOAT,
    roi_percentage FLOAT,
    cost_events NUMBER(38,0),
    revenue_events NUMBER(38,0),
    delta_cost NUMBER(38,12),
    delta_revenue NUMBER(38,12),
    revision NUMBER(38,0),
    beyond_horizon BOOLEAN,
    calculated_at TIMESTAMP_NTZ,
    observed_at TIMESTAMP_NTZ,
    loaded_at TIMESTAMP_NTZ
);

CREATE TABLE IF NOT EXISTS finops_aggregated.roi_calculations_history (
    record_id VARCHAR,
    origin VARCHAR,
    business_unit VARCHAR,
    currency VARCHAR,
    timestamp TIMESTAMP_NTZ,
    window_start TIMESTAMP_NTZ,
    window_end TIMESTAMP_NTZ,
    cost NUMBER(38,12),
    revenue NUMBER(38,12),
    gain NUMBER(38,12),
    roi FLOAT,
    roi_percentage FLOAT,
    cost_events NUMBER(38,0),
    revenue_events NUMBER(38,0),
    delta_cost NUMBER(38,12),
    delta_revenue NUMBER(38,12),
    revision NUMBER(38,0),
    beyond_horizon BOOLEAN,
    calculated_at TIMESTAMP_NTZ,
    observed_at TIMESTAMP_NTZ,
    loaded_at TIMESTAMP_NTZ,
    superseded_at TIMESTAMP_NTZ
);

-- Advice on the size of a resource, one row each time that it changed; 'keep' takes back what was advised before.
-- monthly_saving is negative for 'upsize', NULL where no price is known.
CREATE TABLE IF NOT EXISTS finops_aggregated.optimization_recommendations (
    record_id VARCHAR,
    origin VARCHAR,
    recommendation_id VARCHAR,
    recommended_at TIMESTAMP_NTZ,
    business_unit VARCHAR,
    service VARCHAR,
    resource_id VARCHAR,
    resource_type VARCHAR,
    currency VARCHAR,
    action VARCHAR,
    previous_action VARCHAR,
    target_type VARCHAR,
    utilization_quantile FLOAT,
    utilization_mean FLOAT,
    coverage FLOAT,
    off_hours_per_week NUMBER(38,0),
    hourly_price NUMBER(38,12),
    monthly_saving NUMBER(38,12),
    confidence FLOAT,
    window_start TIMESTAMP_NTZ,
    window_end TIMESTAMP_NTZ,
    observed_at TIMESTAMP_NTZ,
    loaded_at TIMESTAMP_NTZ
);

CREATE TABLE IF NOT EXISTS finops_aggregated.optimization_recommendations_history (
    record_id VARCHAR,
    origin VARCHAR,
    recommendation_id VARCHAR,
    recommended_at TIMESTAMP_NTZ,
    business_unit VARCHAR,
    service VARCHAR,
    resource_id VARCHAR,
    resource_type VARCHAR,
    currency VARCHAR,
    action VARCHAR,
    previous_action VARCHAR,
    target_type VARCHAR,
    utilization_quantile FLOAT,
    utilization_mean FLOAT,
    coverage FLOAT,
    off_hours_per_week NUMBER(38,0),
    hourly_price NUMBER(38,12),
    monthly_saving NUMBER(38,12),
    confidence FLOAT,
    window_start TIMESTAMP_NTZ,
    window_end TIMESTAMP_NTZ,
    observed_at TIMESTAMP_NTZ,
    loaded_at TIMESTAMP_NTZ,
    superseded_at TIMESTAMP_NTZ
);

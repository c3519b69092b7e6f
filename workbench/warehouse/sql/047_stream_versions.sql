-- What was told, and what of it was known when: see 030_versions.sql.

CREATE OR REPLACE VIEW finops_aggregated.cost_anomalies_versions AS
SELECT
    record_id, origin, anomaly_id, detected_at, anomaly_type, business_unit, service, currency,
    window_start, window_end, cost_amount, expected_amount, excess_amount, ratio, deviation,
    deviation_percent, business_impact, history, streak, status, revision, resolved, observed_at,
    loaded_at,
    CAST(NULL AS TIMESTAMP_NTZ) AS superseded_at
FROM finops_aggregated.cost_anomalies
UNION ALL
SELECT
    record_id, origin, anomaly_id, detected_at, anomaly_type, business_unit, service, currency,
    window_start, window_end, cost_amount, expected_amount, excess_amount, ratio, deviation,
    deviation_percent, business_impact, history, streak, status, revision, resolved, observed_at,
    loaded_at,
    superseded_at
FROM finops_aggregated.cost_anomalies_history;

CREATE OR REPLACE VIEW finops_aggregated.cost_windows_versions AS
SELECT
    record_id, origin, business_unit, service, currency, window_start, window_end, total_cost,
    delta_cost, events, late_events, revision, beyond_horizon, closed_at, observed_at, loaded_at,
    CAST(NULL AS TIMESTAMP_NTZ) AS superseded_at
FROM finops_aggregated.cost_windows
UNION ALL
SELECT
    record_id, origin, business_unit, service, currency, window_start, window_end, total_cost,
    delta_cost, events, late_events, revision, beyond_horizon, closed_at, observed_at, loaded_at,
    superseded_at
FROM finops_aggregated.cost_windows_history;

CREATE OR REPLACE VIEW finops_aggregated.roi_calculations_versions AS
SELECT
    record_id, origin, business_unit, currency, timestamp, window_start, window_end, cost, revenue,
    gain, roi, roi_percentage, cost_events, revenue_events, delta_cost, delta_revenue, revision,
    beyond_horizon, calculated_at, observed_at, loaded_at,
    CAST(NULL AS TIMESTAMP_NTZ) AS superseded_at
FROM finops_aggregated.roi_calculations
UNION ALL
SELECT
    record_id, origin, business_unit, currency, timestamp, window_start, window_end, cost, revenue,
    gain, roi, roi_percentage, cost_events, revenue_events, delta_cost, delta_revenue, revision,
    beyond_horizon, calculated_at, observed_at, loaded_at,
    superseded_at
FROM finops_aggregated.roi_calculations_history;

CREATE OR REPLACE VIEW finops_aggregated.optimization_recommendations_versions AS
SELECT
    record_id, origin, recommendation_id, recommended_at, business_unit, service, resource_id,
    resource_type, currency, action, previous_action, target_type, utilization_quantile,
    utilization_mean, coverage, off_hours_per_week, hourly_price, monthly_saving, confidence,
    window_start, window_end, observed_at, loaded_at,
    CAST(NULL AS TIMESTAMP_NTZ) AS superseded_at
FROM finops_aggregated.optimization_recommendations
UNION ALL
SELECT
    record_id, origin, recommendation_id, recommended_at, business_unit, service, resource_id,
    resource_type, currency, action, previous_action, target_type, utilization_quantile,
    utilization_mean, coverage, off_hours_per_week, hourly_price, monthly_saving, confidence,
    window_start, window_end, observed_at, loaded_at,
    superseded_at
FROM finops_aggregated.optimization_recommendations_history;

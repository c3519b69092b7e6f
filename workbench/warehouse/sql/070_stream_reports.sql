-- What the records of the stream come to. Nothing is added up over origins, currencies or lengths of windows. A record
-- without events is one that a later replay took back.

-- Each window once. total_cost is exact: all records of it added up, those beyond the horizon too; reported_cost is
-- what its last record within the horizon says, and must be the same without what came beyond (beyond_cost).
CREATE OR REPLACE VIEW finops_reporting.cost_window_totals AS
SELECT
    origin, business_unit, service, currency, window_start, window_end,
    CAST(SUM(delta_cost) AS NUMBER(38,12)) AS total_cost,
    CAST(SUM(CASE WHEN beyond_horizon THEN delta_cost ELSE 0 END) AS NUMBER(38,12)) AS beyond_cost,
    CAST(MAX_BY(total_cost, COALESCE(revision, -1)) AS NUMBER(38,12)) AS reported_cost,
    COALESCE(MAX(CASE WHEN NOT beyond_horizon THEN events END), 0)
        + SUM(CASE WHEN beyond_horizon THEN events ELSE 0 END) AS events,
    COALESCE(MAX(CASE WHEN NOT beyond_horizon THEN late_events END), 0)
        + SUM(CASE WHEN beyond_horizon THEN late_events ELSE 0 END) AS late_events,
    COUNT(*) AS records,
    MAX(closed_at) AS last_told_at
FROM finops_aggregated.cost_windows
WHERE events > 0
GROUP BY 1, 2, 3, 4, 5, 6;

-- Each window once: cost and revenue around a moment as last told, and what its own bucket brought (exact, additive).
CREATE OR REPLACE VIEW finops_reporting.roi_windows AS
SELECT
    origin, business_unit, currency, timestamp, window_start, window_end,
    CAST(MAX_BY(cost, COALESCE(revision, -1)) AS NUMBER(38,12)) AS cost,
    CAST(MAX_BY(revenue, COALESCE(revision, -1)) AS NUMBER(38,12)) AS revenue,
    CAST(MAX_BY(gain, COALESCE(revision, -1)) AS NUMBER(38,12)) AS gain,
    MAX_BY(roi, COALESCE(revision, -1)) AS roi,
    CAST(SUM(delta_cost) AS NUMBER(38,12)) AS own_cost,
    CAST(SUM(delta_revenue) AS NUMBER(38,12)) AS own_revenue,
    COUNT(*) AS records,
    MAX(calculated_at) AS last_told_at
FROM finops_aggregated.roi_calculations
WHERE cost_events + revenue_events > 0
GROUP BY 1, 2, 3, 4, 5, 6;

-- Spikes that still stand.
CREATE OR REPLACE VIEW finops_reporting.open_anomalies AS
SELECT
    origin, anomaly_id, detected_at, anomaly_type, business_unit, service, currency, window_start, window_end,
    cost_amount, expected_amount, excess_amount, ratio, deviation, deviation_percent, business_impact, revision
FROM finops_aggregated.cost_anomalies
WHERE NOT resolved;

-- The advice that holds: the latest of each resource, unless it was taken back.
CREATE OR REPLACE VIEW finops_reporting.open_recommendations AS
SELECT
    origin, recommendation_id, recommended_at, business_unit, service, resource_id, resource_type, currency,
    action, target_type, utilization_quantile, utilization_mean, coverage, off_hours_per_week,
    hourly_price, monthly_saving, confidence, window_start, window_end
FROM finops_aggregated.optimization_recommendations r
QUALIFY ROW_NUMBER() OVER (
    PARTITION BY origin, business_unit, resource_id, currency ORDER BY recommended_at DESC, recommendation_id
) = 1 AND action <> 'keep';

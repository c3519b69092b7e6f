-- What each business unit cost a day, beside the same day a week before. The week before is joined by date: a missing
-- day shifts nothing. NULLs mean what they mean in daily_cost_summary.
CREATE OR REPLACE VIEW finops_reporting.cost_by_business_unit AS
WITH
units AS (
    SELECT
        date, business_unit, currency,
        CAST(SUM(total_cost) AS NUMBER(38,12)) AS total_cost
    FROM finops_aggregated.daily_costs
    GROUP BY 1, 2, 3
),
week_before AS (
    SELECT CAST(DATEADD('DAY', 7, u.date) AS DATE) AS date, u.business_unit, u.currency, u.total_cost
    FROM units u
    JOIN finops_aggregated.covered_days c
        ON c.date = CAST(DATEADD('DAY', 7, u.date) AS DATE) AND c.currency = u.currency
),
paired AS (
    SELECT
        COALESCE(u.date, w.date) AS date,
        COALESCE(u.business_unit, w.business_unit) AS business_unit,
        COALESCE(u.currency, w.currency) AS currency,
        COALESCE(u.total_cost, 0) AS total_cost,
        w.total_cost AS cost_7_days_ago
    FROM units u
    FULL OUTER JOIN week_before w
        ON w.date = u.date AND w.business_unit = u.business_unit AND w.currency = u.currency
),
compared AS (
    SELECT
        p.date, p.business_unit, p.currency, p.total_cost,
        COALESCE(p.cost_7_days_ago, CASE WHEN c.date IS NOT NULL THEN 0 END) AS cost_7_days_ago
    FROM paired p
    LEFT JOIN finops_aggregated.covered_days c
        ON c.date = CAST(DATEADD('DAY', -7, p.date) AS DATE) AND c.currency = p.currency
)
SELECT
    date AS cost_date, business_unit, currency,
    CAST(total_cost AS NUMBER(38,12)) AS daily_cost,
    CAST(cost_7_days_ago AS NUMBER(38,12)) AS cost_7_days_ago,
    CAST(total_cost - cost_7_days_ago AS NUMBER(38,12)) AS cost_change,
    CASE
        WHEN cost_7_days_ago > 0
        THEN 100 * CAST(total_cost - cost_7_days_ago AS FLOAT) / CAST(cost_7_days_ago AS FLOAT)
    END AS week_over_week_change
FROM compared;

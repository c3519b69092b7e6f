-- Cost by day. A charge counts on the day its period starts (UTC), a monthly fee on the first of its month.
-- Currency is part of every key: currencies are never summed. Nothing here knows what day it is: a query binds that.

CREATE OR REPLACE VIEW finops_aggregated.daily_costs AS
SELECT
    CAST(ChargePeriodStart AS DATE) AS date,
    COALESCE(business_unit, 'unallocated') AS business_unit,
    COALESCE(ServiceName, 'unknown') AS service,
    COALESCE(environment, 'unknown') AS environment,
    COALESCE(BillingCurrency, 'unknown') AS currency,
    CAST(SUM(BilledCost) AS NUMBER(38,12)) AS total_cost,
    COUNT(*) AS charges
FROM finops_curated.focus_costs
GROUP BY 1, 2, 3, 4, 5;

-- The days a bill speaks of. On such a day a service without a charge cost nothing; on any other day nobody knows.
CREATE OR REPLACE VIEW finops_aggregated.covered_days AS
SELECT DISTINCT date, currency
FROM finops_aggregated.daily_costs;

-- The week before is joined by date, so that a missing day shifts nothing. cost_7_days_ago is 0 where the day was
-- covered and the service had no charge, NULL where the day was not covered. What was charged a week ago and is no
-- longer stands here with total_cost 0.
-- week_over_week_change is a percentage, NULL where a week ago there was nothing or a credit to compare with.
-- budget_utilization of the original model is left out: there are no budgets yet, and a column of NULLs says nothing.
CREATE OR REPLACE VIEW finops_aggregated.daily_cost_summary AS
WITH
week_before AS (
    SELECT
        CAST(DATEADD('DAY', 7, d.date) AS DATE) AS date,
        d.business_unit, d.service, d.environment, d.currency, d.total_cost
    FROM finops_aggregated.daily_costs d
    JOIN finops_aggregated.covered_days c
        ON c.date = CAST(DATEADD('DAY', 7, d.date) AS DATE) AND c.currency = d.currency
),
paired AS (
    SELECT
        COALESCE(d.date, w.date) AS date,
        COALESCE(d.business_unit, w.business_unit) AS business_unit,
        COALESCE(d.service, w.service) AS service,
        COALESCE(d.environment, w.environment) AS environment,
        COALESCE(d.currency, w.currency) AS currency,
        COALESCE(d.total_cost, 0) AS total_cost,
        COALESCE(d.charges, 0) AS charges,
        w.total_cost AS cost_7_days_ago
    FROM finops_aggregated.daily_costs d
    FULL OUTER JOIN week_before w
        ON w.date = d.date
        AND w.business_unit = d.business_unit
        AND w.service = d.service
        AND w.environment = d.environment
        AND w.currency = d.currency
),
compared AS (
    SELECT
        p.date, p.business_unit, p.service, p.environment, p.currency, p.total_cost, p.charges,
        COALESCE(p.cost_7_days_ago, CASE WHEN c.date IS NOT NULL THEN 0 END) AS cost_7_days_ago
    FROM paired p
    LEFT JOIN finops_aggregated.covered_days c
        ON c.date = CAST(DATEADD('DAY', -7, p.date) AS DATE) AND c.currency = p.currency
)
SELECT
    date, business_unit, service, environment, currency,
    CAST(total_cost AS NUMBER(38,12)) AS total_cost,
    charges,
    CAST(cost_7_days_ago AS NUMBER(38,12)) AS cost_7_days_ago,
    CAST(total_cost - cost_7_days_ago AS NUMBER(38,12)) AS cost_change,
    CASE
        WHEN cost_7_days_ago IS NULL THEN NULL
        WHEN total_cost > cost_7_days_ago THEN 'up'
        WHEN total_cost < cost_7_days_ago THEN 'down'
        ELSE 'flat'
    END AS cost_trend,
    CASE
        WHEN cost_7_days_ago > 0
        THEN 100 * CAST(total_cost - cost_7_days_ago AS FLOAT) / CAST(cost_7_days_ago AS FLOAT)
    END AS week_over_week_change
FROM compared;

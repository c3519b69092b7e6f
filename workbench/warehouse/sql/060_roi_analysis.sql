-- What each business unit cost a day and what it earned. Each side is summed by unit, day and currency before the
-- two meet: joined event by event, every cost would count once for each revenue event of its hour. The day is the
-- finest grain that holds, because many bills know no hours. Cost without revenue is kept, and revenue without cost.
-- Refunds lower the revenue. roi_percentage is NULL where there is no cost to divide by.
CREATE OR REPLACE VIEW finops_reporting.roi_analysis AS
WITH
costs AS (
    SELECT
        date, business_unit, currency,
        CAST(SUM(total_cost) AS NUMBER(38,12)) AS total_cost,
        SUM(charges) AS cost_events
    FROM finops_aggregated.daily_costs
    GROUP BY 1, 2, 3
),
revenues AS (
    SELECT
        CAST(timestamp AS DATE) AS date,
        COALESCE(business_unit, 'unallocated') AS business_unit,
        COALESCE(currency, 'unknown') AS currency,
        CAST(SUM(revenue_impact) AS NUMBER(38,12)) AS total_revenue,
        COUNT(*) AS revenue_events
    FROM finops_curated.business_events
    WHERE revenue_impact <> 0
    GROUP BY 1, 2, 3
),
paired AS (
    SELECT
        COALESCE(c.business_unit, r.business_unit) AS business_unit,
        COALESCE(c.date, r.date) AS analysis_date,
        COALESCE(c.currency, r.currency) AS currency,
        COALESCE(c.total_cost, 0) AS total_cost,
        COALESCE(r.total_revenue, 0) AS total_revenue,
        COALESCE(c.cost_events, 0) AS cost_events,
        COALESCE(r.revenue_events, 0) AS revenue_events
    FROM costs c
    FULL OUTER JOIN revenues r
        ON r.business_unit = c.business_unit AND r.date = c.date AND r.currency = c.currency
)
SELECT
    business_unit, analysis_date, currency,
    CAST(total_cost AS NUMBER(38,12)) AS total_cost,
    CAST(total_revenue AS NUMBER(38,12)) AS total_revenue,
    CASE
        WHEN total_cost > 0
        THEN 100 * CAST(total_revenue - total_cost AS FLOAT) / CAST(total_cost AS FLOAT)
    END AS roi_percentage,
    CAST(cost_events AS NUMBER(38,0)) AS cost_events,
    CAST(revenue_events AS NUMBER(38,0)) AS revenue_events
FROM paired;

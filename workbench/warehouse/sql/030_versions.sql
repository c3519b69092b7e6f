-- What was believed, and when: every version of every event. A version held at the moment K when
--     loaded_at <= K AND (superseded_at IS NULL OR superseded_at > K)
-- superseded_at is NULL for what is believed now.

CREATE OR REPLACE VIEW finops_curated.focus_costs_versions AS
SELECT
    event_id, BilledCost, EffectiveCost, ListCost, ContractedCost, BillingCurrency,
    ChargePeriodStart, ChargePeriodEnd, BillingPeriodStart, BillingPeriodEnd, BillingAccountId,
    BillingAccountName, BillingAccountType, SubAccountId, SubAccountName, SubAccountType, InvoiceId,
    InvoiceIssuerName, ProviderName, PublisherName, ChargeCategory, ChargeClass, ChargeDescription,
    ChargeFrequency, ServiceCategory, ServiceSubcategory, ServiceName, RegionId, RegionName,
    AvailabilityZone, ResourceId, ResourceName, ResourceType, SkuId, SkuPriceId, SkuMeter,
    SkuPriceDetails, PricingCategory, PricingQuantity, PricingUnit, PricingCurrency,
    PricingCurrencyContractedUnitPrice, PricingCurrencyEffectiveCost, PricingCurrencyListUnitPrice,
    ListUnitPrice, ContractedUnitPrice, ConsumedQuantity, ConsumedUnit, CommitmentDiscountCategory,
    CommitmentDiscountId, CommitmentDiscountName, CommitmentDiscountQuantity,
    CommitmentDiscountStatus, CommitmentDiscountType, CommitmentDiscountUnit, CapacityReservationId,
    CapacityReservationStatus, AllocatedMethodId, AllocatedMethodDetails, AllocatedResourceId,
    AllocatedResourceName, AllocatedTags, Tags, business_unit, project_id, environment, source_name,
    source_file, line_count, observed_at, loaded_at,
    CAST(NULL AS TIMESTAMP_NTZ) AS superseded_at
FROM finops_curated.focus_costs
UNION ALL
SELECT
    event_id, BilledCost, EffectiveCost, ListCost, ContractedCost, BillingCurrency,
    ChargePeriodStart, ChargePeriodEnd, BillingPeriodStart, BillingPeriodEnd, BillingAccountId,
    BillingAccountName, BillingAccountType, SubAccountId, SubAccountName, SubAccountType, InvoiceId,
    InvoiceIssuerName, ProviderName, PublisherName, ChargeCategory, ChargeClass, ChargeDescription,
    ChargeFrequency, ServiceCategory, ServiceSubcategory, ServiceName, RegionId, RegionName,
    AvailabilityZone, ResourceId, ResourceName, ResourceType, SkuId, SkuPriceId, SkuMeter,
    SkuPriceDetails, PricingCategory, PricingQuantity, PricingUnit, PricingCurrency,
    PricingCurrencyContractedUnitPrice, PricingCurrencyEffectiveCost, PricingCurrencyListUnitPrice,
    ListUnitPrice, ContractedUnitPrice, ConsumedQuantity, ConsumedUnit, CommitmentDiscountCategory,
    CommitmentDiscountId, CommitmentDiscountName, CommitmentDiscountQuantity,
    CommitmentDiscountStatus, CommitmentDiscountType, CommitmentDiscountUnit, CapacityReservationId,
    CapacityReservationStatus, AllocatedMethodId, AllocatedMethodDetails, AllocatedResourceId,
    AllocatedResourceName, AllocatedTags, Tags, business_unit, project_id, environment, source_name,
    source_file, line_count, observed_at, loaded_at,
    superseded_at
FROM finops_curated.focus_costs_history;

CREATE OR REPLACE VIEW finops_curated.cost_events_versions AS
SELECT
    event_id, timestamp, event_type, service, region, cost_amount, resource_id, business_unit,
    project_id, environment, metadata, currency, observed_at, loaded_at,
    CAST(NULL AS TIMESTAMP_NTZ) AS superseded_at
FROM finops_curated.cost_events
UNION ALL
SELECT
    event_id, timestamp, event_type, service, region, cost_amount, resource_id, business_unit,
    project_id, environment, metadata, currency, observed_at, loaded_at,
    superseded_at
FROM finops_curated.cost_events_history;

CREATE OR REPLACE VIEW finops_curated.business_events_versions AS
SELECT
    event_id, timestamp, event_type, user_id, feature, action, revenue_impact, business_unit,
    metadata, currency, observed_at, loaded_at,
    CAST(NULL AS TIMESTAMP_NTZ) AS superseded_at
FROM finops_curated.business_events
UNION ALL
SELECT
    event_id, timestamp, event_type, user_id, feature, action, revenue_impact, business_unit,
    metadata, currency, observed_at, loaded_at,
    superseded_at
FROM finops_curated.business_events_history;

CREATE OR REPLACE VIEW finops_curated.resource_events_versions AS
SELECT
    event_id, timestamp, event_type, service, region, resource_id, resource_type, utilization,
    cost_estimate, business_unit, project_id, environment, metadata, currency, observed_at,
    loaded_at,
    CAST(NULL AS TIMESTAMP_NTZ) AS superseded_at
FROM finops_curated.resource_events
UNION ALL
SELECT
    event_id, timestamp, event_type, service, region, resource_id, resource_type, utilization,
    cost_estimate, business_unit, project_id, environment, metadata, currency, observed_at,
    loaded_at,
    superseded_at
FROM finops_curated.resource_events_history;

"""What the simulated cloud is made of: regions, prices, workloads, and who calls whom.

Prices are illustrative list prices in USD; the grids are synthetic. The first workloads are written by hand and make
a shop that a reader can picture; a larger estate gets more of them, made by rule (`estate`).
"""

from typing import NamedTuple

AWS, AZURE, GCP = "AWS", "Microsoft", "Google Cloud"
SHORT = {AWS: "aws", AZURE: "azure", GCP: "gcp"}
ISSUERS = {AWS: "Amazon Web Services, Inc.", AZURE: "Microsoft", GCP: "Google LLC"}
ACCOUNTS = {AWS: ("shop-aws", "Shop on AWS"), AZURE: ("shop-azure", "Shop on Azure"), GCP: ("shop-gcp", "Shop on GCP")}
UNIT_TAGS = {AWS: "business_unit", AZURE: "department", GCP: "team"}
"""Each provider's people tag in their own way; the profile's `names.unit_tags` know all three."""


class Region(NamedTuple):
    """A region of a provider, and the grid that feeds it."""

    provider: str
    zone: str
    """Electricity zone, in the words of Electricity Maps."""
    utc_offset: int
    """Hours of local time ahead of UTC, for the daily rhythm of its users."""
    base_g_per_kwh: float
    solar: float
    """Share of the intensity that the sun takes away at noon of a clear day."""
    wind: float
    """How far the weather moves the intensity, as a share of it."""


REGIONS = {
    "us-east-1": Region(AWS, "US-MIDA-PJM", -5, 400.0, 0.12, 0.08),
    "us-west-2": Region(AWS, "US-NW-PACW", -8, 260.0, 0.15, 0.25),
    "eu-west-1": Region(AWS, "IE", 0, 310.0, 0.05, 0.40),
    "westeurope": Region(AZURE, "NL", 1, 290.0, 0.35, 0.30),
    "europe-west1": Region(GCP, "BE", 1, 150.0, 0.25, 0.25),
    "us-central1": Region(GCP, "US-MIDW-MISO", -6, 460.0, 0.10, 0.22),
}


class Sku(NamedTuple):
    """A product of a provider as it stands on the bill."""

    service: str
    category: str
    sku: str
    unit: str
    usd: str
    """List price of one unit, in USD with at most six decimals."""


COMPUTE = {
    AWS: Sku("Amazon EC2", "Compute", "m7i.xlarge", "Hours", "0.201600"),
    AZURE: Sku("Virtual Machines", "Compute", "D4s v5", "Hours", "0.230000"),
    GCP: Sku("Compute Engine", "Compute", "n2-standard-4", "Hours", "0.194236"),
}
DATABASE = {
    AWS: Sku("Amazon RDS", "Databases", "db.r6g.2xlarge", "Hours", "1.008000"),
    AZURE: Sku("Azure SQL Database", "Databases", "GP Gen5 8 vCore", "Hours", "1.226000"),
    GCP: Sku("Cloud SQL", "Databases", "db-custom-8", "Hours", "0.887600"),
}
CACHE = {
    AWS: Sku("Amazon ElastiCache", "Databases", "cache.r7g.large", "Hours", "0.219000"),
    AZURE: Sku("Azure Cache for Redis", "Databases", "P1", "Hours", "0.555000"),
    GCP: Sku("Memorystore", "Databases", "M2", "Hours", "0.270000"),
}
MODEL = {
    AWS: Sku("Amazon SageMaker", "AI and Machine Learning", "ml.g5.xlarge", "Hours", "1.408000"),
    AZURE: Sku("Azure Machine Learning", "AI and Machine Learning", "NC4as T4 v3", "Hours", "0.526000"),
    GCP: Sku("Vertex AI", "AI and Machine Learning", "n1-standard-4-t4", "Hours", "0.753000"),
}
STORAGE = {
    AWS: Sku("Amazon S3", "Storage", "TimedStorage-ByteHrs", "GB-Hours", "0.000032"),
    AZURE: Sku("Azure Blob Storage", "Storage", "Hot LRS", "GB-Hours", "0.000026"),
    GCP: Sku("Cloud Storage", "Storage", "Standard", "GB-Hours", "0.000028"),
}
LOGS = {
    AWS: Sku("Amazon CloudWatch", "Management and Governance", "DataProcessing-Bytes", "GB", "0.500000"),
    AZURE: Sku("Azure Monitor", "Management and Governance", "Analytics Logs", "GB", "2.300000"),
    GCP: Sku("Cloud Logging", "Management and Governance", "Log storage", "GB", "0.500000"),
}
EGRESS = {
    AWS: Sku("AWS Data Transfer", "Networking", "DataTransfer-Out-Bytes", "GB", "0.090000"),
    AZURE: Sku("Bandwidth", "Networking", "Data Transfer Out", "GB", "0.087000"),
    GCP: Sku("Networking", "Networking", "Internet Egress", "GB", "0.085000"),
}
CLUSTER = {
    AWS: Sku("Amazon EKS", "Compute", "PerCluster", "Hours", "0.100000"),
    AZURE: Sku("Azure Kubernetes Service", "Compute", "Standard Uptime SLA", "Hours", "0.100000"),
    GCP: Sku("Kubernetes Engine", "Compute", "Cluster fee", "Hours", "0.100000"),
}
QUERIES = Sku("BigQuery", "Analytics", "Analysis", "TiB", "6.250000")
BATCH = {
    AWS: Sku("AWS Batch", "Compute", "c7i.4xlarge Spot", "Hours", "0.285600"),
    AZURE: Sku("Batch", "Compute", "F16s v2 Spot", "Hours", "0.270000"),
    GCP: Sku("Dataproc", "Analytics", "n2-highcpu-16 Spot", "Hours", "0.234000"),
}
FEES = {AWS: ("AWS Support", "Business support", "260.00"), AZURE: ("Azure Marketplace", "ERP licence", "310.00"),
        GCP: ("Google Cloud Support", "Enhanced support", "95.00")}  # fmt: skip
"""What is due on the first of a month: service, text, USD."""
CREDITS = {AWS: "-120.00", GCP: "-40.00"}
"""What a provider gives back on the first of a month, USD."""

# name | unit | region | kind | own latency ms | CPU ms a request | kB out a request | requests a minute of users
WORKLOADS = """
storefront|storefront|us-east-1|web|18|70|42|54000
storefront-eu|storefront|eu-west-1|web|18|70|42|31000
mobile-api|storefront|us-east-1|api|9|28|9|44000
cart|checkout|us-east-1|api|6|22|3|
cart-cache|checkout|us-east-1|cache|0.9|0.8|2|
checkout|checkout|us-east-1|api|22|90|5|
orders|checkout|us-east-1|api|12|16|3|
orders-db|checkout|us-east-1|database|4.5|5|4|
payments|payments|us-east-1|api|25|20|2|
payments-db|payments|us-east-1|database|3.8|5|2|
fraud-check|payments|us-central1|model|35|45|1|
card-network|payments||external|160|0|1|
search|search|us-east-1|api|24|52|12|
search-index|search|us-east-1|database|11|12|18|
catalogue|search|us-east-1|api|7|17|14|
catalogue-db|search|us-east-1|database|3.2|3|9|
recommender|ml-research|us-west-2|model|28|11|6|
shipping|logistics|westeurope|api|30|24|3|
shipping-db|logistics|westeurope|database|5|5|3|
notifications|logistics|eu-west-1|worker|45|12|2|
clickstream|data-platform|europe-west1|worker|8|3|1|
warehouse-loader|data-platform|europe-west1|worker|60|5|1|
erp|back-office|westeurope|api|70|60|4|
ledger-db|back-office|westeurope|database|6|8|2|
ml-training|ml-research|us-west-2|batch|0|0|0|
spark-etl|data-platform|europe-west1|batch|0|0|0|
"""

# caller | callee | kind | calls a request | retries | time-out s
CALLS = """
storefront|catalogue|sync|0.9|0|1.0
storefront|search|sync|0.35|1|1.5
storefront|cart|sync|0.25|1|1.0
storefront|recommender|fallback|0.6|0|0.25
storefront|checkout|sync|0.05|0|4.0
storefront|clickstream|async|1.0|0|0
storefront-eu|catalogue|sync|0.9|0|1.2
storefront-eu|search|sync|0.3|1|1.5
storefront-eu|cart|sync|0.2|1|1.0
storefront-eu|recommender|fallback|0.5|0|0.4
storefront-eu|checkout|sync|0.04|0|4.0
storefront-eu|clickstream|async|1.0|0|0
mobile-api|catalogue|sync|0.7|1|1.0
mobile-api|search|sync|0.4|1|1.5
mobile-api|cart|sync|0.3|0|1.0
mobile-api|checkout|sync|0.04|0|4.0
mobile-api|clickstream|async|0.6|0|0
cart|cart-cache|sync|1.6|1|0.2
cart|catalogue|fallback|0.4|0|0.5
checkout|cart|sync|1.0|1|1.0
checkout|payments|sync|1.0|1|3.0
checkout|orders|sync|1.0|1|2.0
orders|orders-db|sync|2.2|0|1.0
orders|shipping|async|0.9|0|0
orders|notifications|async|1.5|0|0
orders|erp|async|0.9|0|0
payments|payments-db|sync|1.8|0|1.0
payments|fraud-check|fallback|1.0|0|0.5
payments|card-network|sync|1.0|0|2.0
search|search-index|sync|1.4|1|0.8
search|catalogue|sync|0.3|0|0.8
catalogue|catalogue-db|sync|1.1|0|0.6
shipping|shipping-db|sync|2.0|0|1.0
erp|ledger-db|sync|3.0|0|2.0
clickstream|warehouse-loader|async|0.05|0|0
"""

DOMAINS = ("inventory", "pricing", "loyalty", "reviews", "media", "tax", "geo", "coupons", "wishlist", "returns",
           "chat", "consent", "profile", "session", "gifts", "invoice", "audit", "stock", "offers", "translation",
           "address", "delivery", "courier", "warehouse", "supplier", "rating", "basket", "identity", "voucher",
           "survey", "affiliate", "campaign", "segment", "content", "image", "video", "feed", "alert",
           "quota", "contract")  # fmt: skip
UNITS = ("storefront", "checkout", "payments", "search", "logistics", "data-platform", "ml-research", "back-office")

"""What is asked of a Prometheus of which nothing else is known: the four metrics of the articles.

They are named as there, and hold for any labelling: whatever labels a server has stay apart, but for those that only
tell copies of one thing from each other. Ranges are five minutes: several scrapes, so that a failed one leaves no
hole. CPU in cores, memory in bytes, requests a second, latency in seconds.
"""

CPU = "cpu_usage"
MEMORY = "memory_usage"
REQUESTS = "http_requests"
LATENCY = "response_time"

DEFAULT: dict[str, str] = {
    CPU: "sum without (cpu) (rate(container_cpu_usage_seconds_total[5m]))",
    # A bare name would be carried on for five minutes after the last sample, and hide that it is missing.
    MEMORY: "last_over_time(container_memory_usage_bytes[2m])",
    REQUESTS: "sum without (instance, pod) (rate(http_requests_total[5m]))",
    LATENCY: "histogram_quantile(0.95, sum without (instance, pod) (rate(http_request_duration_seconds_bucket[5m])))",
}
"""Metric → PromQL."""

"""AWS: costs from Cost Explorer, whole bills from exports in S3, utilisation from CloudWatch."""

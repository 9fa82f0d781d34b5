"""An example address for each form of each destination, by the destination's name, in the order of its forms."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "s3_shards": ("s3://bucket/deep/prefix",),
    "sqs": ("https://sqs.eu-west-1.amazonaws.com/123456789012/queue",),
    "eventbridge": ("arn:aws:events:eu-west-1:123456789012:event-bus/vectors",),
    "s3_vectors": ("s3vectors://bucket/index", "arn:aws:s3vectors:eu-west-1:123456789012:bucket/vectors/index/passages"),
    "write_back": ("dynamodb://embedding",),
    "opensearch": ("opensearch://search-passages-a1b2.eu-west-1.es.amazonaws.com/passages",),
    "sns": ("arn:aws:sns:eu-west-1:123456789012:failures",),
}

"""One file per Lambda function in template.yaml."""

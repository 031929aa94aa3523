"""From a YAML file to records: config, study, cells, one run each."""

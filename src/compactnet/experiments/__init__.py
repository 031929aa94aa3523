"""From a YAML file to records: config, jobs, training, checkpoints, launchers."""

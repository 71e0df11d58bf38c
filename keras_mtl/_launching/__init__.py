"""Files with which schedulers of clusters start the workers of `training.cluster`."""

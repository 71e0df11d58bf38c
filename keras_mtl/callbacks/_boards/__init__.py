"""What `TensorBoardTasks` writes: events, charts of several curves, hyperparameters, matrices."""

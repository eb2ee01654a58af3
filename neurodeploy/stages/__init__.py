"""The stages of the pipeline, each from user input to result; ``neurodeploy.api`` offers them."""

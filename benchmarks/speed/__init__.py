"""The contenders of the speed benchmark."""

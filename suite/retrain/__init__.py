"""A run's winner and runner-up trained again."""

"""Values as retailers send them: JSON, money, timestamps, GTINs."""

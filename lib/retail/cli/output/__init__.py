"""What a person sees while a run works and once it has ended."""

"""What has run, what is running, and where the next run resumes."""

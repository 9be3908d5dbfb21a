"""What has run, what runs now, and where the next run goes on."""

"""What lies between a socket and the application: requests that are not complete yet."""

"""Who may use the service, and from where: API keys, their rates, and the origins of web pages."""

"""What organisms know: people, villagers, wordings and the text made of them. No torch."""

"""What a page is made of: families, samples and the text they become."""

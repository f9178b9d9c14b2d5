"""Speech: words with times and confidences, and who says them."""

"""What was gained and what it cost: size, speed, quality, intervals, and the page that shows it."""

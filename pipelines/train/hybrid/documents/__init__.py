"""Generated documents with questions and answers: what the hybrid model is trained and evaluated on."""

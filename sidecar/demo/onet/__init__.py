"""O*NET 29.3 occupations and job titles, CC BY 4.0; README.md here holds the notice."""

/** What the database and the folder with a store's directories have at the end of their names. */
export const FOLDER = ' directories';
